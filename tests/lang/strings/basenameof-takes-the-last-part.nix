map baseNameOf [ "/a/b" "a" "/a/b/" "/" "" "a/" "//" "/a//" ]
