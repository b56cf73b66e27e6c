"""What a card says of wrong answers whose results are no plain numbers."""

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
