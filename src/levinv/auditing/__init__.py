"""What published leverage scores give away.

    labels         data frames and series: their numbers, and their names
    sensitivity    standard errors, influence of rows, how far the linear prediction reaches
    limits         what counts as given away, and up to where predictions are relied on
    audit          the front: checks the arguments, predicts, attacks
    report         AuditReport
    words          the report for a terminal
    page           the report as a page of HTML
"""
