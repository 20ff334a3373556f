output "artifact_bucket" {
  description = "The bucket for packages and templates: artifact_bucket of the infrastructure, which finds it by itself."
  value       = aws_cloudformation_stack.bootstrap.outputs["ArtifactBucketName"]
}

output "deploy_role_arn" {
  description = "The role that a pipeline takes on; null where no repository was named."
  value       = lookup(aws_cloudformation_stack.bootstrap.outputs, "DeployRoleArn", null)
}

output "permissions_boundary_arn" {
  description = "What that role has to give the infrastructure as the parameter PermissionsBoundaryArn."
  value       = lookup(aws_cloudformation_stack.bootstrap.outputs, "PermissionsBoundaryArn", null)
}

output "ledger_key_arn" {
  description = "What that role has to give the infrastructure as the parameter LedgerKeyArn."
  value       = lookup(aws_cloudformation_stack.bootstrap.outputs, "LedgerKeyArn", null)
}

output "kms_key_arn" {
  description = "What the infrastructure may be given as the parameter KmsKeyArn; null where there is no key."
  value       = lookup(aws_cloudformation_stack.bootstrap.outputs, "KmsKeyArn", null)
}

output "oidc_provider_arn" {
  description = "The account's provider for GitHub's tokens, for the other stages; null where no repository was named."
  value       = lookup(aws_cloudformation_stack.bootstrap.outputs, "OidcProviderArn", null)
}
