[ /. (dirOf /.) (toString /.) ]
