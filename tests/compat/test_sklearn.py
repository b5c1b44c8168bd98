"""fastconv.compat.sklearn: scikit-learn's own suite for estimators, and the places where estimators are used."""

import pickle

import numpy as np
import pytest
from compare import same_bits

import fastconv

pytest.importorskip("sklearn", reason='scikit-learn is not installed (pip install "fastconv[compat]")')

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastconv.compat.sklearn import CNNClassifier


@pytest.fixture(scope="module")
def digits():
    """(x, y) of 600 digits to train and (x, y) of 300 others; x (N, 1, 8, 8)."""
    (x, y), (test_x, test_y) = fastconv.data.load_digits()
    return x[:600], y[:600], test_x[:300], test_y[:300]


# The suite asks for warnings of its own, and skips what is not installed.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([CNNClassifier()])
def test_sklearns_suite(estimator, check):
    check(estimator)


def test_pictures_and_rows_are_the_same(digits):
    x, y, test_x, test_y = digits
    of_pictures = CNNClassifier(epochs=8, random_state=0).fit(x, y)
    of_rows = CNNClassifier((1, 8, 8), epochs=8, random_state=0).fit(x.reshape(-1, 64), y)
    assert of_pictures.score(test_x, test_y) >= 0.9
    assert of_pictures.image_shape_ == of_rows.image_shape_ == (1, 8, 8) and of_rows.n_features_in_ == 64
    assert of_pictures.predict_proba(test_x).dtype == np.float32
    same_bits(of_rows.predict_proba(test_x.reshape(-1, 64)), of_pictures.predict_proba(test_x[:, 0]), "rows, pictures")


def test_pickle(digits):
    x, y, test_x, _ = digits
    fitted = CNNClassifier(epochs=1).fit(x, y)
    again = pickle.loads(pickle.dumps(fitted))
    same_bits(again.predict_proba(test_x), fitted.predict_proba(test_x), "pickle")


def test_search_over_a_pipeline_in_two_processes(digits):
    x, y, test_x, test_y = digits
    pipeline = make_pipeline(StandardScaler(), CNNClassifier((1, 8, 8), channels=(16,), epochs=4, random_state=0))
    search = GridSearchCV(pipeline, {"cnnclassifier__learning_rate": [1e-5, 3e-3]}, cv=2, n_jobs=2)
    search.fit(x.reshape(-1, 64), y)
    assert search.best_params_ == {"cnnclassifier__learning_rate": 3e-3}
    assert search.score(test_x.reshape(-1, 64), test_y) >= 0.9


def test_a_network_of_ones_own(digits):
    x, y, test_x, test_y = digits
    classifier = clone(CNNClassifier(network=fastconv.models.small_cnn, epochs=8, random_state=0)).fit(x, y)
    assert repr(classifier.model_) == repr(fastconv.models.small_cnn((1, 8, 8), 10))
    assert classifier.score(test_x, test_y) >= 0.9


def test_wrong_shapes(digits):
    x, y, _, _ = digits
    with pytest.raises(ValueError, match=r"X has 64 features; image_shape is \(3, 8, 8\)"):
        CNNClassifier((3, 8, 8)).fit(x.reshape(-1, 64), y)
    fitted = CNNClassifier(epochs=1).fit(x, y)
    with pytest.raises(ValueError, match=r"X has pictures \(1, 4, 16\); it was fitted on \(1, 8, 8\)"):
        fitted.predict(x.reshape(-1, 1, 4, 16))
    with pytest.raises(ValueError, match="63 features"):
        fitted.predict(x.reshape(-1, 64)[:, 1:])
