[ (builtins.pathExists /nonexistent/file) (builtins.pathExists /.) (builtins.pathExists "/") ]
