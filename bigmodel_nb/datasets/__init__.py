"""Text that comes with the course or with Python, and the learner's own."""

from bigmodel_nb.datasets.audit import claims
from bigmodel_nb.datasets.customers import support, support_red_team
from bigmodel_nb.datasets.ngrams import tale_ngrams
from bigmodel_nb.datasets.own import own_text
from bigmodel_nb.datasets.prose import python_docs
from bigmodel_nb.datasets.shipped import stories, tales
from bigmodel_nb.datasets.terms import support_questions, support_terms

__all__ = [
    "claims", "own_text", "python_docs", "stories", "support", "support_questions", "support_red_team", "support_terms", "tale_ngrams", "tales",
]  # fmt: skip
