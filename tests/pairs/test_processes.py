"""Processes that work beside each other."""

import subprocess
import sys

import cv2

from mmivtuning.pairs.processes import worker_pool

# In a process of its own: what it forks must not inherit OpenCV's threads.
CODE = '''
import cv2
import numpy as np
from mmivtuning.pairs.processes import worker_pool

cv2.setNumThreads(4)
image = np.zeros((3000, 3000, 3), np.uint8)
for _ in range(3):
    cv2.GaussianBlur(image, (0, 0), 3)
    cv2.resize(image, (2000, 2000))
with worker_pool(2) as pool:
    found = list(pool.map(cv2.setNumThreads, [2, 1, 3, 1]))
    assert found == [None] * 4
assert cv2.getNumThreads() == 4
'''


def test_opencv_used_its_threads_before():
    subprocess.run([sys.executable, '-c', CODE], check=True, timeout=60)


def test_workers_have_one_thread():
    with worker_pool(2) as pool:
        assert pool.submit(cv2.getNumThreads).result() == 1
