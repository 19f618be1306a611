let l = [ 1 l ]; in builtins.head (builtins.elemAt l 1)
