[ (builtins.getAttr "a" { a = 1; }) (builtins.getAttr ("a" + "b") { ab = 2; }) ]
