from rsfiqa.errors import InputError, first_line


def test_the_first_line_of_an_error():
    assert first_line(ValueError("\none\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"


def test_an_input_error_is_one_line_of_printable_text():
    error = InputError("x must be a name, found 'a\nb\x1b[2Jc\u2028d\udce9e\u00e9'; change it")
    assert str(error) == r"x must be a name, found 'a\nb\x1b[2Jc\u2028d\udce9eé'; change it"
    assert f"{error}" == str(error)
