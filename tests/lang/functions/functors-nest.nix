{ __functor = self: { __functor = self: x: x + 1; }; } 5
