builtins.length { a = 1; c = "x"; d = 2; e = 3; f = 4; g = 5; h = 6; i = 7; j = 8; k = 9; l = 10; m = 11; type = "y"; }
