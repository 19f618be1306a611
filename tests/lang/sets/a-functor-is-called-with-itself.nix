{ __functor = self: x: self.n + x; n = 2; } 3
