"""Systems to measure side by side: kgrec, and what it is compared with, one module a family."""
