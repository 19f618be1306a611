assert builtins.elem "x" [ "a" "b" ] && !false; 1
