with builtins; tail (tail (tail [ 1 2 3 4 5 ]))
