"""The linear agent: a closed-form item filter with knowledge in its Gram matrix."""
