map builtins.functionArgs [ (x: x) map (map 1) (x: { a }: a) ({ }: 1) ]
