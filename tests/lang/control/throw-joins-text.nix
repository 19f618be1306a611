throw ("a" + "b${toString 1}")
