{ __functor = self: a: b: a + b; } 1 2
