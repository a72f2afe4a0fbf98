"""What is done about faults: deciding (planner, guards, admission) apart from doing (executor, actions, supervisor).

The deciding half is pure: the journal goes in, intents come out. The doing half runs on the host that owns a service.
Modules are imported by their own names, so that an agent does not load the planner.
"""
