[ (builtins.toPath "/a/./b") (builtins.toPath /c) ]
