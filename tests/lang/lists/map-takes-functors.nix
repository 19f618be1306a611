map { __functor = self: x: x + self.n; n = 10; } [ 1 2 ]
