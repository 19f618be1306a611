builtins.toXML "<a & \"b\"> \n 'c'"
