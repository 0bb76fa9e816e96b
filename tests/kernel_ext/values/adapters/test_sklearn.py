"""What a description shows of estimators, fitted or not."""

from typing import Any

import pytest

from inkernel.kernel_ext.values.describe import brief, describe


def fail(*args: object, **kwargs: object) -> Any:
    raise AssertionError("it was computed")


def test_an_estimator_says_whether_it_is_fitted_and_what_was_chosen() -> None:
    linear: Any = pytest.importorskip("sklearn.linear_model")
    model = linear.LinearRegression(positive=True)
    assert brief(model) == "sklearn LinearRegression, not fitted: positive=True"
    model.fit([[1.0], [2.0]], [1.0, 2.0])
    assert brief(model).startswith("sklearn LinearRegression, fitted: positive=True, n_features_")
    assert ".fit_intercept = True" in describe(model)


def test_an_estimator_shows_parameters_and_what_it_has_fitted() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    fitted = linear.LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    text = describe(fitted)
    assert ".fit_intercept = True" in text
    assert ".coef_ = numpy ndarray 1 float64: " in text


def test_an_estimator_of_the_persons_own_is_read_by_what_it_stores() -> None:
    base: Any = pytest.importorskip("sklearn.base")

    class Mine(base.BaseEstimator):
        def __init__(self, depth: int = 3, api_key: str = "") -> None:
            self.depth, self.api_key = depth, api_key

        def get_params(self, deep: bool = True) -> Any:
            return fail()

        __repr__ = __sklearn_is_fitted__ = fail

    Mine.__qualname__ = "Mine"
    assert brief(Mine(4, "hunter2")).endswith(
        "Mine (sklearn BaseEstimator), not fitted: depth=4, api_key=<str of 7, hidden>"
    )


def test_a_data_set_bundled_with_sklearn_is_a_dict() -> None:
    utils: Any = pytest.importorskip("sklearn.utils")
    assert brief(utils.Bunch(a=1)).endswith("{'a': 1}")
