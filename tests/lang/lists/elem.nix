with builtins; [ (elem 1 [ 1 2 ]) (elem 3 [ 1 2 ]) (elem "a" [ 1 "a" ]) (elem [ ] [ [ ] ]) (elem 1 [ ]) ]
