with builtins; [ (add 1 2) (sub 5 3) (mul 4 2.5) (div 9 2) ]
