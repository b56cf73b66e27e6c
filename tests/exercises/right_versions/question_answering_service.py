"""Right answers of lesson 21 in another style."""

import string


def every_character(allowed, issue, permissions):
    """Every letter and digit at every place."""
    known = sorted({action for own in permissions.values() for action in own})
    for role in ["visitor", *permissions]:
        token = issue(role, 50)
        if any(allowed(token, action, 49) is not (action in permissions.get(role, set())) for action in [*known, "dance"]):
            return False
        fakes = {token[:i] + new + token[i + 1 :] for i in range(len(token)) for new in string.digits + "abcdef"}
        fakes |= {other + token[len(role) :] for other in permissions}
        for fake in fakes - {token} | {""}:
            if any(allowed(fake, action, 49) for action in known):
                return False
        if any(allowed(token, action, 50) for action in known):
            return False
    return True


RIGHT = {"question_answering_service.access_is_safe": [every_character]}
