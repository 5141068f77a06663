"""What every call needs: caller, body, paging, problems."""
