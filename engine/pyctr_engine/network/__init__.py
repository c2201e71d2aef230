"""Networks: bridge, addresses, firewall, names."""
