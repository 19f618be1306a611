builtins.match "(foo|foobar)(.*)" "foobarbaz"
