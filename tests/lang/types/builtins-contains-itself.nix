builtins.builtins.builtins.typeOf 1
