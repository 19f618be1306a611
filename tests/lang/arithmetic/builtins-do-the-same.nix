[ (builtins.add 1 2.5) (builtins.sub 5 3) (builtins.mul 2 3) (builtins.div 7 2) ]
