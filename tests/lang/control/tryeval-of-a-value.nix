builtins.tryEval [ 1 ]
