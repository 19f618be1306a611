builtins.toJSON "a\"\\\n\t\r/é"
