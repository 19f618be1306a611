map builtins.typeOf [ 1.0 (1 + 1.0) (builtins.ceil 1.5) ]
