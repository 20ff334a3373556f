output "stack_name" {
  description = "The CloudFormation stack; `weaudit` commands find it by stage and prefix."
  value       = aws_cloudformation_stack.weaudit.name
}

output "region" {
  description = "The region that the stack is in."
  value       = local.region
}

output "api_url" {
  description = "Where the API answers; test.py calls it."
  value = (
    var.endpoint_url != null
    ? "${var.endpoint_url}/_aws/execute-api/${aws_cloudformation_stack.weaudit.outputs["ApiId"]}/$default"
    : aws_cloudformation_stack.weaudit.outputs["ApiUrl"]
  )
}

output "stack_outputs" {
  description = "Every output of the stack, by its name in the template: tables, buckets, functions, aliases."
  value       = aws_cloudformation_stack.weaudit.outputs
}
