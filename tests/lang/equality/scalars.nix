[ (1 == 1) ("a" == "a") (null == null) (true == true) (/a == /a) (1 == "1") (null == false) ]
