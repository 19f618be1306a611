builtins.functionArgs ((x: { a, b ? 1 }: a) 1)
