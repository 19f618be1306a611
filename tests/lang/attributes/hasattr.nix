[ (builtins.hasAttr "a" { a = throw "never"; }) (builtins.hasAttr "b" { a = 1; }) ]
