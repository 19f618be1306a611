let x = "a"; in assert x == "b"; 1
