builtins.isNull (builtins.unsafeGetAttrPos "b" { a = 1; })
