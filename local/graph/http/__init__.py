"""What every call of Graph needs: a request, its caller, an answer or a refusal, a record."""
