"""What people read: queries, the HTML report, languages, channels of alerts, notebooks."""
