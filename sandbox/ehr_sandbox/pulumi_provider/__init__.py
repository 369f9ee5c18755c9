"""A stand-in for the Pulumi provider of Azure: it records what a program declares, and touches no Azure.

The Pulumi engine starts it as `pulumi-resource-azure-native` and takes it for the real one. It refuses what the input types of
the Python SDK do not know, compares on Diff, and returns on Read what is stored, so that preview, up, refresh and destroy
behave as they should; it says nothing about what Azure itself would accept.
"""
