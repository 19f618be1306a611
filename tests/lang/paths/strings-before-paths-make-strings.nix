"x:" + toString /a/b
