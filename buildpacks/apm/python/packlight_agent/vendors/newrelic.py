"""New Relic's agent: configured by the environment, it waits for the imports of what it observes by itself."""


def wake(open_layer):
    open_layer()
    import newrelic.agent

    newrelic.agent.initialize()
