"""What a card says of wrong answers whose results are no plain numbers."""

import numpy as np

from bigmodel_nb import exercises


def test_retry_names_the_call_whose_error_came():
    def first_error(call, temporary, sleep, random, attempts=4, base=0.5, cap=8.0, budget=20.0):
        errors = []
        for n in range(1, attempts + 1):
            try:
                return call()
            except temporary as error:
                errors.append(error)
                wait = max(random() * min(cap, base * 2 ** (n - 1)), error.retry_after or 0)
            if n == attempts or wait > budget:
                raise errors[0]
            sleep(wait)

    text = exercises.check("question_answering_service.retry_with_backoff", first_error).text
    assert "'raises the Temporary of call 1'; expected 'raises the Temporary of call" in text


def test_retry_names_the_wait():
    def short(call, temporary, sleep, random, *settings):
        right = exercises.reference("question_answering_service.retry_with_backoff")
        return right(call, temporary, lambda wait: sleep(wait / 2), random, *settings)

    assert "waits[0] is" in exercises.check("question_answering_service.retry_with_backoff", short).text


def test_break_even_asks_for_a_value_error():
    def nothing(fixed, price, variable):
        return -(-fixed // (price - variable)) if price > variable else None

    def asserts(fixed, price, variable):
        assert price > variable
        return -(-fixed // (price - variable))

    text = exercises.check("business_case.break_even", nothing).text
    assert "Nothing was raised; your function returned None. Expected: ValueError." in text and "return` missing" not in text
    text = exercises.check("business_case.break_even", asserts).text
    assert "An AssertionError was raised. Expected: ValueError." in text


def test_a_timeout_that_comes_through_pay_is_explained():
    def unguarded(pay):
        keys = []

        def send(amount, key):
            keys.append(key)
            raise TimeoutError

        pay(send, 25, "lamp")
        return len(set(keys)) > 1

    assert "catch it around pay" in exercises.check("clinic.may_charge_twice", unguarded).text


def test_whole_tables_compared_is_answered_by_the_text():
    def whole_tables(update):
        tables = [np.array([[0.5, 0.1, 0.2], [value] * 3]) for value in (0.0, 5.0)]
        one, two = (update(Q, 0, 1, 1.0, 1, True, 0.5, 0.9) for Q in tables)
        return not np.allclose(one, two)

    text = exercises.check("reinforcement_learning.bootstraps_through_end", whole_tables).text
    assert "row s comes out the same, whatever row s_next holds" in text
