"""Several tmpenv on one Redis, as a balancer and their visitors meet them."""
