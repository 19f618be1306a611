builtins.hashString "foo" "abc"
