builtins.functionArgs ((x: { a, b ? 2 }: a) 1)
