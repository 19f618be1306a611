[ (builtins.hasAttr "a" { a = throw "no"; }) (builtins.hasAttr "b" { a = 1; }) ]
